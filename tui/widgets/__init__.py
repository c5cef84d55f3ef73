"""The parts that pages are made of: attributes down, messages up."""
