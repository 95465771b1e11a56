"""What is to be built: frozen values, checked where made, and the formulas derived from them."""
