"""What rules do: comparisons, verdicts, marks, rewrites, limits, and sets that packets change."""
