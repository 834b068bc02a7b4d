"""Templates of the report's pages."""
