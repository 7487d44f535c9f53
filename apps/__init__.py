"""What the network knows and decides. Every app has the same rooms."""
