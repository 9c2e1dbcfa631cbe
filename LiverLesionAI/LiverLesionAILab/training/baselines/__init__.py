"""Networks that are not bundled: U-Nets with other attentions to compare with, and a second look."""
