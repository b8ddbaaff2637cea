"""A layer of our own in a model with two inputs and two outputs, not compiled: ``bench`` chooses losses
that fit the outputs, and stochastic gradient descent."""

import tensorflow as tf

layers = tf.keras.layers


@tf.keras.utils.register_keras_serializable("examples")
class Gated(layers.Layer):
    """A dense layer whose outputs another one weighs."""

    def __init__(self, units: int, **options: object) -> None:
        super().__init__(**options)
        self.units = units
        self.values = layers.Dense(units, "tanh", name="values")
        self.gates = layers.Dense(units, "sigmoid", name="gates")

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Values times gates."""
        return self.values(inputs) * self.gates(inputs)

    def get_config(self) -> dict:
        """What a saved model needs to make it again."""
        return {**super().get_config(), "units": self.units}


def build() -> tf.keras.Model:
    """The model, not compiled."""
    numbers = tf.keras.Input((12,), name="numbers")
    words = tf.keras.Input((6,), dtype="int32", name="words")
    read = layers.Flatten()(layers.Embedding(50, 4, name="embedding")(words))
    joined = layers.Concatenate()([Gated(16, name="gated")(numbers), read])
    hidden = layers.Dense(16, "relu", name="hidden")(joined)
    kind = layers.Dense(3, "softmax", name="kind")(hidden)
    amount = layers.Dense(1, name="amount")(hidden)
    return tf.keras.Model([numbers, words], [kind, amount])
