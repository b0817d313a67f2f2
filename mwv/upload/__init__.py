"""A site, whole or what has changed in one, in; the same site in a repository, bucket or Space of the Hub out."""
