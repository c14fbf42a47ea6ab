"""Arrays by key that devices, processes and machines share."""
