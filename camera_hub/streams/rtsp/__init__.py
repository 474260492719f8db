"""Our own RTSP client (RFC 2326, TCP, interleaved): one thread reads all cameras of a process."""
