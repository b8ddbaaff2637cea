"""A network that reads a line of writing: convolutions, PReLU, batch normalization, two bidirectional
LSTMs and RMSprop, as in https://github.com/keras-team/keras/issues/19993; smaller, and on MNIST, whose
columns it reads from left to right."""

import tensorflow as tf

layers = tf.keras.layers


def build(*, normalized: bool = True) -> tf.keras.Model:
    """The model, compiled."""
    image = tf.keras.Input((28, 28, 1))
    signal = image
    for filters in (8, 16):
        signal = layers.Conv2D(filters, 3, padding="same", use_bias=False)(signal)
        if normalized:
            signal = layers.BatchNormalization()(signal)
        signal = layers.PReLU(shared_axes=[1, 2])(signal)
        signal = layers.MaxPooling2D(2)(signal)
    columns = layers.Reshape((7, 7 * 16))(layers.Permute((2, 1, 3))(signal))
    signal = layers.Bidirectional(layers.LSTM(16, return_sequences=True))(columns)
    signal = layers.Bidirectional(layers.LSTM(16))(signal)
    model = tf.keras.Model(image, layers.Dense(10, activation="softmax")(signal))
    model.compile(
        optimizer=tf.keras.optimizers.RMSprop(0.001),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    return model


def build_without_normalization() -> tf.keras.Model:
    """The same without batch normalization: what differs then comes from elsewhere."""
    return build(normalized=False)
