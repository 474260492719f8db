"""Virtual cameras: an ONVIF device in front of an RTSP stream that plays real footage."""
