"""Detectors: pictures in, boxes out, behind one small interface."""
