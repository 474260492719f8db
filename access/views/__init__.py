"""View records: who saw which camera, when and why; written before the first frame leaves."""
