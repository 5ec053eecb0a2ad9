"""TAXII 2.1 wire types, media types, filters, cursors."""
