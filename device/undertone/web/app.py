"""The script that Streamlit runs for each visitor; a worker process imports it without effect."""

if __name__ == "__main__":
    from undertone.web.layout import show

    show()
