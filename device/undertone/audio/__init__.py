"""From microphones, streams, files and pipes to Blocks: nothing else touches sound devices."""
