"""The tutorial notebook's arithmetic for one fiber, plainly written: the yardstick for the vectorised code.

It reads the FITS files with astropy, uses numpy's masked arrays as the notebook does, and shares nothing with
the package.
"""

import numpy as np
import numpy.ma as ma
from astropy.io import fits


def inverse(data):
    """1/data as an unmasked float64 array, 0 where masked or zero."""
    invalid = ma.getmaskarray(data) | (ma.getdata(data) == 0)
    result = np.zeros(data.shape)
    result[~invalid] = 1 / ma.getdata(data)[~invalid]
    return result


def trace_set(table, index, nrow):
    """One fiber of a trace set at all rows."""
    row = table[0]
    x = np.arange(nrow, dtype=float)
    if "XJUMPVAL" in table.dtype.names:
        low, high, value = (float(row[name]) for name in ("XJUMPLO", "XJUMPHI", "XJUMPVAL"))
        x = x + value * np.where(x >= high, 1, np.where(x < low, 0, (x - low) / (high - low)))
    middle, width = (row["XMIN"] + row["XMAX"]) / 2, row["XMAX"] - row["XMIN"]
    return np.polynomial.legendre.legval(2 * (x - middle) / width, row["COEFF"][index])


def masked(values, mask_bits, ivar, allowed):
    return ma.MaskedArray(values, mask=((mask_bits & ~np.int64(allowed)) != 0) | (ivar <= 0))


def native(array):
    return np.asarray(array).astype(array.dtype.newbyteorder("="))


def plot_calib(folder, plate, mjd, camera, expnum, flatnum, fiber, allowed=0):
    """Everything the notebook computes, before it draws: a dictionary of arrays and of the printed numbers."""
    index = (fiber - 1) % 500
    name = f"{camera}-{expnum:08d}"
    with fits.open(folder / f"spFrame-{name}.fits.gz") as hdus:
        header = hdus[0].header
        eflux, eivar, emask, esky, tracex, superflat = (native(hdus[i].data[index]) for i in (0, 1, 2, 6, 7, 8))
        objtype = str(hdus[5].data["OBJTYPE"][index]).strip()
    n = len(eflux)
    with fits.open(folder / f"spCFrame-{name}.fits") as hdus:
        flux, ivar, mask, loglam, sky = (native(hdus[i].data[index][:n]) for i in (0, 1, 2, 3, 6))
    with fits.open(folder / f"spFluxcorr-{name}.fits.gz") as hdus:
        corr = native(hdus[0].data[index][:n])
    with fits.open(folder / f"spFluxcalib-{name}.fits.gz") as hdus:
        spcalib = native(hdus[0].data[index])
    with fits.open(folder / f"spFlat-{camera}-{flatnum:08d}.fits.gz") as hdus:
        fiberflat = native(hdus[0].data[index])
        neff = trace_set(hdus[3].data, index, n)
    with fits.open(folder / f"spFluxdistort-{plate:04d}-{mjd}.fits") as hdus:
        distort_coadd = native(hdus[0].data[fiber - 1])
        loglam0, idx0, dloglam = (hdus[0].header[key] for key in ("CRVAL1", "CRPIX1", "CD1_1"))

    wave = (10**loglam).astype(np.float32)
    flux, ivar, sky = (masked(array, mask, ivar, allowed) for array in (flux, ivar, sky))
    eflux, eivar, esky = (masked(array, emask, eivar, allowed) for array in (eflux, eivar, esky))
    wave_coadd = 10 ** (loglam0 + (np.arange(len(distort_coadd)) - idx0) * dloglam)
    distort = np.interp(wave, wave_coadd, distort_coadd)
    # The notebook's np.log10(wave) rounds as the processor does; this is what it rounds to at best.
    bin_ratio = dloglam / np.gradient(np.log10(wave.astype(np.float64)).astype(np.float32))
    flat = superflat * fiberflat
    electrons = flat * (eflux + esky)

    readnoise_per_quad = np.array([header[f"RDNOISE{quadrant}"] for quadrant in range(4)])
    ysize, xsize = {"b": (2056, 2048), "r": (2064, 2057)}[camera[0]]
    quad = 2 * (tracex >= xsize) + 1 * (np.arange(2 * ysize) >= ysize)
    readnoise = readnoise_per_quad[quad] * neff * (4 * np.pi) ** 0.25

    evar = flat**2 * inverse(eivar)
    evar_pred = np.clip(electrons, 0, None) + readnoise**2
    ecalib1 = flux * inverse(eflux)
    ecalib2 = corr * distort * bin_ratio * inverse(spcalib)
    nonzero = ma.filled(ecalib1 > 0, False)
    absdiff = np.abs(ecalib1[nonzero] - ecalib2[nonzero])
    reldiff = absdiff / np.abs(ecalib1[nonzero] + ecalib2[nonzero])
    return {
        "objtype": objtype,
        "readnoise_per_quad": readnoise_per_quad,
        "electrons": electrons,
        "readnoise": readnoise,
        "evar": evar,
        "evar_pred": evar_pred,
        "var": inverse(ivar),
        "var_pred": ecalib1**2 * inverse(eivar),
        "calib_applied": ecalib1,
        "calib_predicted": ecalib2,
        "flat": flat,
        "bin_ratio": bin_ratio,
        "distort": distort,
        "npix": int(nonzero.sum()),
        "max_absdiff": absdiff.max() if nonzero.any() else None,
        "max_reldiff": reldiff.max() if nonzero.any() else None,
        "evar_ratio_median": ma.median(evar[nonzero] / evar_pred[nonzero]) if nonzero.any() else None,
    }
