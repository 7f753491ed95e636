"""Reports: each lays out the same records, one file per report, and none computes a verdict."""
