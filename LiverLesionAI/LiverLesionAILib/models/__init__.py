"""The bundled networks: manifest, weights, inputs and the device they run on."""
