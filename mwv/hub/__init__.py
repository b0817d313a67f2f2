"""Addresses on the Hugging Face Hub in, listings, bytes and commits out: all requests go through `huggingface_hub`'s client."""
