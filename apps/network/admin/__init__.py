"""The network in the admin.

members       facilities and nodes, and how a hospital joins
certificates  certificates of nodes
domains       assigning authorities and communities
accounts      who may sign in
"""

from apps.network.admin import accounts, certificates, domains, members

__all__ = ["accounts", "certificates", "domains", "members"]
