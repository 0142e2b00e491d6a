"""Many recordings: found, classified in parallel, and written as a table, JSON or CSV."""
