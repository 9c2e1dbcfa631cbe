"""Networks that are only compared with: U-Nets with other attentions."""
