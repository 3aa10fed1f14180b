"""An app's data: backups that are verified, and the way back from one."""
