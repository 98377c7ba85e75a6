"""Spark's TorchDistributor: Spark finds places, torchrun starts ranks there, and the script is DDP's own."""

import os
from pathlib import Path

from pyspark.ml.torch.distributor import TorchDistributor
from pyspark.sql import SparkSession

world = int(os.environ["WORLD_SIZE"])
spark = SparkSession.builder.master(f"local[{world}]").getOrCreate()
script = str(Path(__file__).with_name("torch_ddp.py"))
TorchDistributor(num_processes=world, local_mode=True, use_gpu=False).run(script)
spark.stop()
