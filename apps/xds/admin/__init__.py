"""The registry in the admin.

registry      documents, submission sets, folders and associations, looked at and recorded
repositories  codes, addresses, subscriptions, outgoing messages, checks of documents and repositories
"""

from apps.xds.admin import registry, repositories

__all__ = ["registry", "repositories"]
