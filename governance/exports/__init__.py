"""Exports of pictures: asked for, approved by a second person, watermarked, signed, expiring."""
