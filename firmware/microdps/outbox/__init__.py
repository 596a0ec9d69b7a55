"""Messages that wait on flash until the hub has accepted them."""
