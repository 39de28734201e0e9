// The entry of `countersign bridge`, loaded before and instead of the rest.
