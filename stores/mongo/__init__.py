"""Sessions in MongoDB."""

from stores.mongo.store import MongoStore as MongoStore
