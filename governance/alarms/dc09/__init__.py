"""SIA DC-09: what alarm panels say over IP, and what they are answered. Knows no socket."""
