"""STIX 2.1 values: identifiers, extensions, objects, markings, bytes."""
