"""fastmlp beside other libraries, each at its best on the processor: same networks, updates and orders."""
