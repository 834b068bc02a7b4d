"""Scripts and styles of the report's pages."""
