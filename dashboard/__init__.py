"""The Streamlit dashboard of one home; it only reads the stores."""
