"""What is to be built: frozen values, checked where they are made, and the formulas derived from them."""
