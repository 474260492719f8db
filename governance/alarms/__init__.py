"""The one-key alarm: what hangs in a household or lies in its pocket, and what it presses."""
