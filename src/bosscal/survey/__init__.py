"""The survey as it is: where its files lie, how they are fetched and read, and what a camera exposure holds."""
