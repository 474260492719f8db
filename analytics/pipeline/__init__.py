"""The pipeline of one camera: pictures, gate, detector, tracks, rules, signals."""
