"""`vidfer app`: a page and a REST service that analyse what is sent to them."""
