"""Models that tests give to ``--model``; training processes read this file from disk.

The variable ``OWN_FAULT`` stands for what another version does otherwise, and ``OWN_WITNESS`` names a
file in which each process that runs this code leaves its number.
"""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

layers = tf.keras.layers
FAULT = os.environ.get("OWN_FAULT", "")

if "OWN_WITNESS" in os.environ:
    with Path(os.environ["OWN_WITNESS"]).open("a") as file:
        file.write(f"{os.getpid()}\n")


@tf.keras.utils.register_keras_serializable("own_models")
class Scaled(layers.Layer):
    """Multiplies by a weight; the faulty version by a little more."""

    def build(self, shape):
        self.factor = self.add_weight(name="factor", shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return inputs * self.factor * (1.001 if FAULT == "scale" else 1.0)


class Reader(tf.keras.Model):
    """A model whose inputs and weights are known when it is called."""

    def __init__(self):
        super().__init__()
        self.words = layers.Embedding(20, 8, name="words")
        self.memory = layers.LSTM(8, unit_forget_bias=FAULT != "forget", name="memory")
        self.answer = layers.Dense(3, name="answer")

    def call(self, inputs):
        return self.answer(self.memory(self.words(inputs)))


class Coder(tf.keras.Model):
    """A model with a training step, and a loss, of its own: it needs no targets."""

    def __init__(self):
        super().__init__()
        self.code = layers.Dense(3, "tanh", name="code")
        self.back = layers.Dense(6, name="back")

    def call(self, inputs):
        return self.back(self.code(inputs))

    def train_step(self, data):
        x = data[0] if isinstance(data, (list, tuple)) else data
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(self(x, training=True) - x))
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))  # noqa: B905
        return {"loss": loss}


def functional(dropout=0.0):
    """Three layers with names of their own, compiled."""
    if FAULT == "build":
        raise AttributeError("module 'tensorflow' has no attribute 'old'")
    inputs = tf.keras.Input((6,), name="numbers")
    signal = layers.Dense(8, "tanh", name="first")(inputs)
    signal = Scaled(name="scaled")(signal)
    if dropout:
        signal = layers.Dropout(dropout, name="forgetful")(signal)
    model = tf.keras.Model(inputs, layers.Dense(3, "softmax", name="kind")(signal))
    sgd = tf.keras.optimizers.SGD(0.1)
    model.compile(sgd, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def random():
    """The same with dropout."""
    return functional(0.5)


def subclassed():
    """A model that nobody compiled."""
    return Reader()


def coder():
    """A model that trains itself."""
    model = Coder()
    model.compile(tf.keras.optimizers.SGD(0.1))
    return model


def weightless():
    """A model that computes, and has nothing to train."""
    inputs = tf.keras.Input((6,), name="numbers")
    model = tf.keras.Model(inputs, layers.Activation("softmax", name="kind")(inputs))
    model.compile("sgd", "mse")
    return model


def overshooting():
    """A model whose loss is no number after some steps."""
    inputs = tf.keras.Input((6,), name="numbers")
    model = tf.keras.Model(inputs, layers.Dense(3, name="kind")(inputs))
    model.compile(tf.keras.optimizers.SGD(1e15), "mse")
    return model


def endless():
    """A model whose loss is no number."""
    inputs = tf.keras.Input((6,), name="numbers")
    model = tf.keras.Model(inputs, layers.Rescaling(1e30)(layers.Dense(3, name="kind")(inputs)))
    model.compile("sgd", "mse")
    return model


def strings():
    """A model that looks words up."""
    text = tf.keras.Input((1,), dtype="string", name="text")
    words = layers.StringLookup(vocabulary=["a", "b"])(text)
    return tf.keras.Model(text, layers.Dense(3)(layers.Flatten()(layers.Embedding(3, 4)(words))))


def no_model():
    """Something else."""
    return np.zeros(3)
