"""A small transformer that classifies sequences of words: embeddings, learned positions, attention with
a mask, layer normalization and dropout."""

import tensorflow as tf

layers = tf.keras.layers
WORDS, LENGTH, WIDTH = 200, 16, 16


@tf.keras.utils.register_keras_serializable("examples")
class Positions(layers.Layer):
    """Adds a learned vector to each place."""

    def build(self, shape: tuple) -> None:  # noqa: ARG002 - Keras
        """Makes the vectors."""
        self.vectors = self.add_weight(
            name="vectors", shape=(LENGTH, WIDTH), initializer="random_normal"
        )

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """The sum."""
        return inputs + self.vectors


def build(dropout: float = 0.0) -> tf.keras.Model:
    """The model, compiled."""
    words = tf.keras.Input((LENGTH,), dtype="int32", name="words")
    signal = Positions(name="positions")(layers.Embedding(WORDS, WIDTH, name="embedding")(words))
    for block in range(2):
        attention = layers.MultiHeadAttention(2, WIDTH // 2, name=f"attention_{block}")
        attended = attention(signal, signal, use_causal_mask=True)
        signal = layers.LayerNormalization(name=f"norm_{block}a")(signal + attended)
        hidden = layers.Dense(2 * WIDTH, "gelu", name=f"hidden_{block}")(signal)
        if dropout:
            hidden = layers.Dropout(dropout, name=f"dropout_{block}")(hidden)
        hidden = layers.Dense(WIDTH, name=f"back_{block}")(hidden)
        signal = layers.LayerNormalization(name=f"norm_{block}b")(signal + hidden)
    pooled = layers.GlobalAveragePooling1D()(signal)
    model = tf.keras.Model(words, layers.Dense(5, "softmax", name="topic")(pooled))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def build_with_dropout() -> tf.keras.Model:
    """The same with dropout, which draws random numbers."""
    return build(dropout=0.1)
