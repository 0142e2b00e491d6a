"""The script that Streamlit runs for each visitor; worker processes import it and do nothing."""

if __name__ == "__main__":
    from undertone.web.layout import show

    show()
