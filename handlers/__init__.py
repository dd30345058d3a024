"""The handlers of the service: the reference example and the pages for its operators."""
