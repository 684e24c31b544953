-- Of inserts with one token the first counts: a commit is there once, however often it is sent and however late it arrives.
ALTER TABLE commits MODIFY SETTING non_replicated_deduplication_window = 1000
