"""Other session systems under the same load: a folder each, with an application and its lock."""
