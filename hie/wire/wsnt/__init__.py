"""WS-BaseNotification 1.3 as Document Metadata Subscription speaks it (DSUB; ITI TF-2: 3.52, 3.53, 3.54)."""
