"""Finds many recordings, classifies them in parallel and writes the results as JSON or CSV."""
