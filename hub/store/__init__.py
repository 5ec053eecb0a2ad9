"""What a hub keeps, behind one interface."""
