"""The sound of a stream: AAC as it is or encoded from G.711, placed on the video's timeline."""
