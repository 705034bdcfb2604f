"""The stores, each thing written once over the storage contract."""
