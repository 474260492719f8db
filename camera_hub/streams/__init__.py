"""Camera streams: reading RTSP, decoding, and the framing of the workers' sockets."""
